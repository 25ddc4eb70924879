/*
 * The lines of `sandbar-net apply`, words with single blanks between. They are carried out in order; the first that fails ends it.
 *
 *   space NAME PID START                                  names a name space; `here` is our own
 *   veth SPACE NAME MAC MTU SPACE2 NAME2 MAC2             a pair of links, its second end in another name space
 *   bridge SPACE NAME MAC MTU
 *   master SPACE NAME BRIDGE
 *   address SPACE NAME ADDRESS PREFIX
 *   up SPACE NAME
 *   route SPACE ADDRESS PREFIX GATEWAY NAME
 *   delete SPACE NAME                                     a link, with the other end of its pair
 *   forget SPACE ADDRESS                                  connections that the kernel remembers of it
 *   sysctl SPACE PATH VALUE…                              below /proc/sys/net; a value may have blanks
 *   sysctl? SPACE PATH VALUE…                             the same, where the kernel has it
 *   element SPACE FAMILY TABLE SET add|remove KEY END|- DATA|- MS
 *                                                         bytes in hexadecimal; lines that follow each other are one transaction
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

#define MAX_WORDS 12
#define MAX_SPACES 8
/* As many acknowledgements as a socket's queue holds for sure. */
#define MAX_ELEMENTS 512

struct space {
  char name[16];
  int fd, route, filter;
};

static struct space spaces[MAX_SPACES];
static size_t space_count;
static const struct space *inside;
static struct element elements[MAX_ELEMENTS];
static size_t element_count;
static const struct space *elements_space;
static unsigned line_number;
static const char *verb = "read";

static _Noreturn void refuse(void) {
  fprintf(stderr, "line %u: %s: %s\n", line_number, verb, strerrorname_np(errno));
  exit(1);
}

static _Noreturn void malformed(void) {
  errno = EINVAL;
  refuse();
}

static void check(bool done) {
  if (!done) refuse();
}

static const struct space *space_named(const char *name) {
  for (size_t i = 0; i < space_count; i++)
    if (strcmp(spaces[i].name, name) == 0) return &spaces[i];
  malformed();
}

static void add_space(const char *name, int fd) {
  if (fd < 0) refuse();
  if (space_count == MAX_SPACES || strlen(name) >= sizeof spaces[0].name) malformed();
  struct space *space = &spaces[space_count++];
  strcpy(space->name, name);
  space->fd = fd;
  space->route = space->filter = -1;
}

/* Index look-ups, sysctls and new sockets belong to the name space that we are in. */
static const struct space *go_to(const char *name) {
  const struct space *space = space_named(name);
  if (inside != space) check(enter_space(space->fd));
  inside = space;
  return space;
}

static int route_in(const char *name) {
  struct space *space = &spaces[go_to(name) - spaces];
  if (space->route < 0) space->route = netlink_open(NETLINK_ROUTE);
  if (space->route < 0) refuse();
  return space->route;
}

static uint32_t number(const char *word, uint32_t most) {
  char *end;
  errno = 0;
  const unsigned long value = strtoul(word, &end, 10);
  if (errno != 0 || *word < '0' || *word > '9' || *end != 0 || value > most) malformed();
  return (uint32_t)value;
}

static uint32_t address(const char *word) {
  struct in_addr parsed;
  if (inet_pton(AF_INET, word, &parsed) != 1) malformed();
  return parsed.s_addr;
}

static size_t hexadecimal(const char *word, uint8_t *into, size_t room) {
  if (strcmp(word, "-") == 0) return 0;
  const size_t size = strlen(word) / 2;
  if (size > room || size * 2 != strlen(word)) malformed();
  for (size_t i = 0; i < size; i++)
    if (sscanf(word + 2 * i, "%2hhx", &into[i]) != 1) malformed();
  return size;
}

static struct link_end link_end(const char *name, const char *mac, uint32_t mtu) {
  struct link_end end = {.name = name, .mtu = mtu};
  if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &end.mac[0], &end.mac[1], &end.mac[2], &end.mac[3], &end.mac[4], &end.mac[5]) != 6) malformed();
  return end;
}

static void flush_elements(void) {
  if (element_count == 0) return;
  struct space *space = &spaces[go_to(elements_space->name) - spaces];
  if (space->filter < 0) space->filter = netlink_open(NETLINK_NETFILTER);
  verb = "element";
  check(space->filter >= 0 && change_elements(space->filter, elements, element_count));
  for (size_t i = 0; i < element_count; i++) {
    free((void *)(uintptr_t)elements[i].table);
    free((void *)(uintptr_t)elements[i].set);
  }
  element_count = 0;
}

static void queue_element(char **word) {
  const struct space *space = space_named(word[1]);
  if (element_count == MAX_ELEMENTS || (element_count > 0 && elements_space != space)) flush_elements();
  elements_space = space;
  struct element *element = &elements[element_count++];
  *element = (struct element){.family = (uint8_t)number(word[2], 255), .table = strdup(word[3]), .set = strdup(word[4]), .remove = strcmp(word[5], "remove") == 0};
  if (element->table == NULL || element->set == NULL) refuse();
  element->key_size = hexadecimal(word[6], element->key, sizeof element->key);
  element->end_size = hexadecimal(word[7], element->end, sizeof element->end);
  element->data_size = hexadecimal(word[8], element->data, sizeof element->data);
  element->timeout_ms = number(word[9], UINT32_MAX);
}

static void set_sysctl(char *rest, bool optional) {
  char *space = strsep(&rest, " "), *path = strsep(&rest, " ");
  if (path == NULL || rest == NULL) malformed();
  go_to(space);
  check(write_sysctl(path, rest) || (optional && errno == ENOENT));
}

static void carry_out(char **word, size_t count) {
  const struct { const char *verb; size_t words; } verbs[] = {{"space", 4}, {"veth", 8}, {"bridge", 5}, {"master", 4}, {"address", 5}, {"up", 3}, {"route", 6}, {"delete", 3}, {"forget", 3}};
  size_t which = 0;
  while (which < sizeof verbs / sizeof verbs[0] && strcmp(verbs[which].verb, word[0]) != 0) which++;
  if (which == sizeof verbs / sizeof verbs[0] || verbs[which].words != count) malformed();
  if (which == 0) {
    add_space(word[1], open_space((int)number(word[2], INT32_MAX), strtoull(word[3], NULL, 10)));
    return;
  }
  const int fd = route_in(word[1]);
  switch (which) {
    case 1: {
      const uint32_t mtu = number(word[4], 65535);
      const struct link_end near = link_end(word[2], word[3], mtu), far = link_end(word[6], word[7], mtu);
      check(make_veth(fd, &near, &far, space_named(word[5])->fd));
      return;
    }
    case 2: {
      const struct link_end bridge = link_end(word[2], word[3], number(word[4], 65535));
      check(make_bridge(fd, &bridge));
      return;
    }
    case 3: check(set_master(fd, word[2], word[3])); return;
    case 4: check(add_address(fd, word[2], address(word[3]), (uint8_t)number(word[4], 32))); return;
    case 5: check(set_up(fd, word[2])); return;
    case 6: check(add_route(fd, address(word[2]), (uint8_t)number(word[3], 32), address(word[4]), word[5])); return;
    case 7: check(remove_link(fd, word[2])); return;
    default: {
      const int dump = netlink_open(NETLINK_NETFILTER), deletes = netlink_open(NETLINK_NETFILTER);
      check(dump >= 0 && deletes >= 0 && forget_connections(dump, deletes, address(word[2])));
      close(dump);
      close(deletes);
    }
  }
}

static void take_line(char *line) {
  char *word[MAX_WORDS], *rest = line;
  verb = line;
  if (strncmp(line, "sysctl ", 7) == 0 || strncmp(line, "sysctl? ", 8) == 0) {
    flush_elements();
    char *name = strsep(&rest, " ");
    verb = name;
    set_sysctl(rest, name[6] == '?');
    return;
  }
  size_t count = 0;
  while (rest != NULL && count < MAX_WORDS) word[count++] = strsep(&rest, " ");
  if (rest != NULL) malformed();
  if (strcmp(word[0], "element") == 0 && count == 10) {
    queue_element(word);
    return;
  }
  flush_elements();
  verb = word[0];
  carry_out(word, count);
}

int apply(void) {
  char *line = NULL;
  size_t room = 0;
  ssize_t size;
  add_space("here", open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  inside = &spaces[0];
  while ((size = getline(&line, &room, stdin)) > 0) {
    line_number++;
    if (line[size - 1] == '\n') line[size - 1] = 0;
    take_line(line);
  }
  flush_elements();
  free(line);
  return 0;
}
