// Pure arithmetic on the proleptic Gregorian calendar.  Trusts nothing that
// it reads; no time zone files, no locale.
#include "common/rfc3339.h"

#include <stdbool.h>
#include <stdio.h>

enum { NS = 1000 * 1000 * 1000 };

static bool
digits(const char *text, int n, int *ret)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret = value;
	return true;
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

// Days since 1970-01-01; years begin in March, so that the leap day is last.
static int64_t
days_since_epoch(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day -
	    1 - 719468;
}

static bool
parse_date(const char *t, int64_t *ret_days)
{
	int year, month, day;

	if (!digits(t, 4, &year) || t[4] != '-' || !digits(t + 5, 2, &month) ||
	    t[7] != '-' || !digits(t + 8, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 ||
	    day > days_of_month(year, month))
		return false;
	*ret_days = days_since_epoch(year, month, day);
	return true;
}

static bool
parse_clock(const char *t, int64_t *ret_seconds, uint32_t *ret_ns)
{
	int hour, minute, second;

	if (!digits(t, 2, &hour) || t[2] != ':' || !digits(t + 3, 2, &minute) ||
	    t[5] != ':' || !digits(t + 6, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	// A leap second is one more second of its minute's last one.
	*ret_ns = second == 60 ? NS : 0;
	*ret_seconds = hour * 3600 + minute * 60 + (second == 60 ? 59 : second);
	return true;
}

// `.` and digits; *at is behind them then.
static bool
parse_fraction(const char *text, size_t len, size_t *at, uint32_t *ns)
{
	uint32_t value = 0, unit = NS / 10;
	size_t start;

	if (*at >= len || text[*at] != '.')
		return true;
	start = ++*at;
	for (; *at < len && text[*at] >= '0' && text[*at] <= '9'; ++*at) {
		value += (uint32_t)(text[*at] - '0') * unit;
		unit /= 10;
	}
	*ns += value;
	return *at != start;
}

static bool
parse_offset(const char *t, size_t len, int64_t *ret_seconds)
{
	int hour, minute;

	if (len == 1 && (t[0] == 'Z' || t[0] == 'z')) {
		*ret_seconds = 0;
		return true;
	}
	if (len != 6 || (t[0] != '+' && t[0] != '-') ||
	    !digits(t + 1, 2, &hour) || t[3] != ':' ||
	    !digits(t + 4, 2, &minute) || hour > 23 || minute > 59)
		return false;
	*ret_seconds = (hour * 3600 + minute * 60) * (t[0] == '-' ? -1 : 1);
	return true;
}

int
rfc3339_parse(const char *text, size_t len, struct rfc3339_time *ret)
{
	int64_t days, seconds, offset;
	size_t at = 19;
	uint32_t ns;

	if (len < 20 || !parse_date(text, &days) ||
	    (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
	    !parse_clock(text + 11, &seconds, &ns) ||
	    !parse_fraction(text, len, &at, &ns) ||
	    !parse_offset(text + at, len - at, &offset))
		return -EBADMSG;
	ret->seconds = days * 86400 + seconds - offset + ns / NS;
	ret->nanoseconds = ns % NS;
	return 0;
}

void
rfc3339_format(struct rfc3339_time t, char ret[static RFC3339_TEXT_LEN + 1])
{
	int64_t days = t.seconds / 86400, rest = t.seconds % 86400;
	int year = 1970, month = 1;

	for (; days >= (is_leap(year) ? 366 : 365); year++)
		days -= is_leap(year) ? 366 : 365;
	for (; days >= days_of_month(year, month); month++)
		days -= days_of_month(year, month);
	(void)snprintf(ret, RFC3339_TEXT_LEN + 1,
	    "%04u-%02u-%02uT%02u:%02u:%02u.%09u+00:00", (unsigned)year % 10000,
	    (unsigned)month % 100, (unsigned)(days + 1) % 100,
	    (unsigned)(rest / 3600) % 100, (unsigned)(rest / 60 % 60) % 100,
	    (unsigned)(rest % 60) % 100, t.nanoseconds % NS);
}

int64_t
rfc3339_seconds_between(struct rfc3339_time a, struct rfc3339_time b)
{
	int64_t seconds = a.seconds - b.seconds;
	int64_t ns = (int64_t)a.nanoseconds - (int64_t)b.nanoseconds;

	if (seconds > 0 && ns < 0)
		return seconds - 1;
	if (seconds < 0 && ns > 0)
		return seconds + 1;
	return seconds;
}
