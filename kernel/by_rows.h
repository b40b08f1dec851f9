/* SPDX-License-Identifier: ISC */
/*
 * by_rows: how many rows of accumulators a path has registers for, MR, and one function
 * for each number of them up to MR. Who includes it has defined VW (kernel/vec.h) and
 * ROWS(n), which defines the functions for n rows; NAMES(f) are then f1 to fMR, as a
 * table's content.
 */
#ifndef KERNEL_BY_ROWS_H
#define KERNEL_BY_ROWS_H

#define NAMES(f) \
	{ \
		f##1, f##2, f##3, f##4 MORE_NAMES(f) \
	}

ROWS(1)
ROWS(2)
ROWS(3)
ROWS(4)
#if VW == 4
#define MR 4
#define MORE_NAMES(f)
#else
ROWS(5)
ROWS(6)
#if VW == 8
#define MR 6
#define MORE_NAMES(f) , f##5, f##6
#else
#define MR 12
ROWS(7)
ROWS(8)
ROWS(9)
ROWS(10)
ROWS(11)
ROWS(12)
#define MORE_NAMES(f) , f##5, f##6, f##7, f##8, f##9, f##10, f##11, f##12
#endif
#endif

#endif
