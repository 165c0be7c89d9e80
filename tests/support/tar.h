/* Small tar files for tests, made in memory by libarchive. */
#ifndef CORDS_TESTS_SUPPORT_TAR_H
#define CORDS_TESTS_SUPPORT_TAR_H

#include "support/support.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

typedef struct {
  struct archive *archive;
  uint8_t *bytes;
  size_t length;
} SupportTar;

enum { SUPPORT_TAR_BYTES = 1 << 24 };

/* format: "ustar", "gnutar" or "pax"; filter: NULL or "gzip". */
static inline SupportTar SupportTarBegin(const char *format, const char *filter)
{
  SupportTar tar = {archive_write_new(), malloc(SUPPORT_TAR_BYTES), 0};

  assert_int_equal(archive_write_set_format_by_name(tar.archive, format), ARCHIVE_OK);
  if (filter) assert_int_equal(archive_write_add_filter_by_name(tar.archive, filter), ARCHIVE_OK);
  return tar;
}

/* After the first SupportTarBegin the structure must not move: libarchive writes its length. */
static inline void SupportTarOpen(SupportTar *tar)
{
  assert_int_equal(archive_write_open_memory(tar->archive, tar->bytes, SUPPORT_TAR_BYTES, &tar->length), ARCHIVE_OK);
}

static inline void SupportTarAdd(SupportTar *tar, const char *name, size_t length, const void *bytes)
{
  struct archive_entry *entry = archive_entry_new();

  archive_entry_set_pathname(entry, name);
  archive_entry_set_size(entry, (la_int64_t)length);
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  assert_true(archive_write_header(tar->archive, entry) >= ARCHIVE_WARN); /* of letters of other alphabets */
  if (length) assert_int_equal(archive_write_data(tar->archive, bytes, length), length);
  archive_entry_free(entry);
}

static inline void SupportTarAddFolder(SupportTar *tar, const char *name)
{
  struct archive_entry *entry = archive_entry_new();

  archive_entry_set_pathname(entry, name);
  archive_entry_set_filetype(entry, AE_IFDIR);
  archive_entry_set_perm(entry, 0755);
  assert_true(archive_write_header(tar->archive, entry) >= ARCHIVE_WARN); /* of letters of other alphabets */
  archive_entry_free(entry);
}

/* Now bytes and length are the tar file. */
static inline void SupportTarEnd(SupportTar *tar)
{
  assert_int_equal(archive_write_close(tar->archive), ARCHIVE_OK);
  assert_int_equal(archive_write_free(tar->archive), ARCHIVE_OK);
}

static inline void SupportTarFree(SupportTar *tar)
{
  free(tar->bytes);
  tar->bytes = NULL;
}

#endif
