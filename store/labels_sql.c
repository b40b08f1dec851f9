/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

/* sum: XXH3 over the other columns; SQLite has none of its own. label_text is kept
 * in step by write_label.c: triggers may not touch virtual tables here. */
const char labels_schema[] =
	"CREATE TABLE label(id INTEGER PRIMARY KEY AUTOINCREMENT, sae_hash BLOB NOT "
	"NULL,"
	" feature INTEGER NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL,"
	" author TEXT NOT NULL, time_s INTEGER NOT NULL, score REAL, sum INTEGER NOT "
	"NULL,"
	" UNIQUE(sae_hash, feature, source, author));"
	"CREATE TABLE history(id INTEGER NOT NULL, sae_hash BLOB NOT NULL,"
	" feature INTEGER NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL,"
	" author TEXT NOT NULL, time_s INTEGER NOT NULL, score REAL,"
	" replaced_s INTEGER NOT NULL);"
	"CREATE VIRTUAL TABLE label_text USING fts5(text, content='label',"
	" content_rowid='id', tokenize='unicode61 remove_diacritics 2', prefix='2 3');"
	"PRAGMA user_version=1;";
