#ifndef CORDS_CORE_VERSION_H
#define CORDS_CORE_VERSION_H

/* What this program was built from; written into every output file by io/run_info. */
extern const char *const cords_version;    /* release, for example "0.1.0" */
extern const char *const cords_commit;     /* git commit, "-dirty" appended if the tree had changes */
extern const char *const cords_compiler;   /* name and version */
extern const char *const cords_build_type; /* Release, Debug */

#endif
