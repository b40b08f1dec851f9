/* SPDX-License-Identifier: ISC */
/*
 * log: one line an event to standard error, for programs. Libraries return
 * errors instead.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

enum log_level { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DBG };

void log_set_level(enum log_level level); /* default LOG_NOTICE */
void log_set_name(const char *program); /* borrowed for ever */
void log_put(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
