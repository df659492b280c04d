// In place of what cppcheck cannot parse: sys/queue.h, uthash.h, and
// __VA_OPT__ in common/log.h.
#define SLIST_HEAD(name, type)          \
	struct name {                   \
		struct type *slh_first; \
	}
#define SLIST_ENTRY(type)              \
	struct {                       \
		struct type *sle_next; \
	}
#define TAILQ_HEAD(name, type)          \
	struct name {                   \
		struct type *tqh_first; \
	}
#define TAILQ_ENTRY(type)              \
	struct {                       \
		struct type *tqe_next; \
	}
#define TAILQ_FIRST(head) ((head)->tqh_first)
#define HASH_ITER(hh, head, e, tmp) \
	for (e = tmp = head; e != NULL; e = tmp = next_of(e))

#define COMMON_LOG_H
#define F(name, x) (x)
int LOG(int level, const char *event, ...);
