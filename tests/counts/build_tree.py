"""What a build folder says about itself."""

import re

from count_table import Skip


def cached(build, name):
    """A variable of CMake's cache, "" when it is not there."""
    match = re.search(rf"^{name}:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)
    return match[1] if match else ""


def compiler(build, language):
    """(identification, version) of the compiler of CXX or CUDA; a skip when the language is not used."""
    found = sorted(build.glob(f"CMakeFiles/*/CMake{language}Compiler.cmake"))
    if not found:
        raise Skip(f"nothing is compiled as {language} here")
    text = found[-1].read_text()
    return tuple(
        re.search(rf'^set\(CMAKE_{language}_COMPILER_{what} "(.*)"\)', text, re.MULTILINE)[1]
        for what in ("ID", "VERSION")
    )


def require_release(build):
    """Only what is optimised as users have it is worth a table."""
    if cached(build, "CMAKE_BUILD_TYPE") != "Release" or cached(build, "NSAMETA_SANITIZE"):
        raise Skip("counted in release builds without sanitizers alone")
