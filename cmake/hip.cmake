# Sets hip_missing, or enables the language and sets hip_found.
set(hip_missing "not there yet")
