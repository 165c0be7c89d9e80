# Writes version.c with the state of the checkout; the file is touched only when something changed.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT COMMIT)
  set(COMMIT "unknown")
endif()
configure_file(${SOURCE}/src/core/version.c.in ${OUTPUT} @ONLY)
