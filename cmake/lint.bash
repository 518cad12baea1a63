# shellcheck shell=bash disable=SC2154
# ./dev format and ./dev lint; `dev` brings its variables and functions.

# Tracked files and new ones that git does not ignore, which still exist.
sources() { git ls-files -co --exclude-standard --deduplicate -- "$@" | while read -r file; do [[ ! -f $file ]] || echo "$file"; done; }
cxx_sources() { sources '*.h' '*.hpp' '*.c' '*.cpp' '*.cu' '*.hip'; }

cmd_format() {
  cmd_setup lint
  cxx_sources | xargs clang-format-19 -i
  if [[ -n $(sources '*.py') ]]; then sources '*.py' | xargs "$(python_tool ruff)" format; fi
}

# complain RULE LINES: prints the lines and counts a failure, if there are any.
complain() {
  [[ -n $2 ]] || return 0
  printf '%s:\n%s\n' "$1" "$2" | sed '2,$s/^/  /' >&2
  return 1
}

# Tools' files aside, what the words say applies to every text file.
check_own_rules() {
  local failed=0 file num_lines
  complain 'unfinished work' "$(sources . | xargs grep -InE '\b(TO[D]O|FIX[M]E|XX[X])\b' || true)" || failed=1
  complain 'wave width comes from the device, not from the compiler' \
    "$(sources backends | xargs grep -nE '(^|[^.A-Za-z_])warpSize\b|__AMDGCN_WAVEFRONT_SIZE' || true)" || failed=1
  complain 'backends/simt is free of vendors: use the trait Rt' \
    "$(sources backends/simt | xargs grep -nE '^ *# *(el)?if|\b(cuda|hip)[A-Z]' || true)" || failed=1
  while read -r file; do
    num_lines=$(wc -l <"$file")
    if ((num_lines > 600)); then
      complain 'longer than 600 lines' "$file: $num_lines" || failed=1
    elif ((num_lines > 300)); then
      printf 'warning: %s has %d lines; 300 is the aim\n' "$file" "$num_lines" >&2
    fi
  done < <(cxx_sources; sources '*.py' '*.cmake' '*.bash' dev)
  return "$failed"
}

# clang-tidy needs the compile commands, not the build. What is compiled together is checked together: most of the time
# goes into the headers of libraries.
check_tidy() {
  configure clang -DNSAMETA_PYTHON=ON
  # Each process prints one line when it is done, so that a long run is seen to move.
  # shellcheck disable=SC2016  # expanded by the inner shell
  sed -n "s|^ *\"file\": \"$root/\(.*\.c[px][px]\)\",\{0,1\}$|\1|p" build/clang/compile_commands.json |
    grep -v '^build/nanobind-venv/' | sort -u |
    xargs -P "$(num_jobs)" -I '{}' bash -c '
      if output=$(clang-tidy-19 --quiet -p build/clang "$1" 2>/dev/null); then echo "  $1" >&2
      else printf "%s\n%s\n" "clang-tidy: $1" "$output" >&2; exit 1; fi' tidy '{}'
}

# stage NAME COMMAND...: runs it, says how long it took, and remembers a failure.
lint_failures=()
lint_stage() {
  local name=$1 begin=$SECONDS
  shift
  say "lint: $name"
  "$@" || lint_failures+=("$name")
  printf '   %s: %d s\n' "$name" $((SECONDS - begin)) >&2
}

check_format() { cxx_sources | xargs clang-format-19 --dry-run -Werror; }
check_shell() { shellcheck -x dev cmake/lint.bash .ci/run cmake/run-tests python/tests/check-wheel; }
check_python() {
  [[ -n $(sources '*.py') ]] || return 0
  local ruff
  ruff=$(python_tool ruff)
  sources '*.py' | xargs "$ruff" check && sources '*.py' | xargs "$ruff" format --check
}

cmd_lint() {
  cmd_setup
  cmd_setup lint
  lint_stage 'own rules' check_own_rules
  lint_stage clang-format check_format
  lint_stage shellcheck check_shell
  lint_stage ruff check_python
  lint_stage clang-tidy check_tidy
  [[ ${#lint_failures[@]} == 0 ]] || die "lint failed: ${lint_failures[*]}"
  say 'lint passed'
}
