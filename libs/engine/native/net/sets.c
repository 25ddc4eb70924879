#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

/* Bytes of all elements of one transaction. Each takes less than 400. */
#define MAX_BATCH (1 << 20)

struct batch {
  uint8_t *bytes;
  size_t size;
  uint32_t sequence;
};

static bool add_to(struct batch *batch, struct message *m, bool acknowledged) {
  if (m->full || MAX_BATCH - batch->size < m->size) {
    errno = EMSGSIZE;
    return false;
  }
  struct nlmsghdr *head = (struct nlmsghdr *)(void *)m->bytes;
  head->nlmsg_len = (uint32_t)m->size;
  head->nlmsg_seq = ++batch->sequence;
  if (!acknowledged) head->nlmsg_flags = NLM_F_REQUEST;
  memcpy(batch->bytes + batch->size, m->bytes, m->size);
  batch->size += m->size;
  return true;
}

static bool put_border(struct batch *batch, uint16_t type) {
  struct message m;
  const struct nfgenmsg head = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  message_start(&m, type, 0, &head, sizeof head);
  return add_to(batch, &m, false);
}

static void put_data(struct message *m, uint16_t type, const uint8_t *bytes, size_t size) {
  const size_t begin = put_begin(m, type);
  put_bytes(m, NFTA_DATA_VALUE, bytes, size);
  put_end(m, begin);
}

static bool put_element(struct batch *batch, const struct element *element) {
  struct message m;
  const struct nfgenmsg head = {.nfgen_family = element->family, .version = NFNETLINK_V0};
  const uint16_t type = element->remove ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;
  message_start(&m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), element->remove ? 0 : NLM_F_CREATE, &head, sizeof head);
  put_text(&m, NFTA_SET_ELEM_LIST_TABLE, element->table);
  put_text(&m, NFTA_SET_ELEM_LIST_SET, element->set);
  const size_t list = put_begin(&m, NFTA_SET_ELEM_LIST_ELEMENTS);
  const size_t item = put_begin(&m, NFTA_LIST_ELEM);
  put_data(&m, NFTA_SET_ELEM_KEY, element->key, element->key_size);
  if (element->end_size > 0) put_data(&m, NFTA_SET_ELEM_KEY_END, element->end, element->end_size);
  if (element->data_size > 0 && !element->remove) put_data(&m, NFTA_SET_ELEM_DATA, element->data, element->data_size);
  if (element->timeout_ms > 0 && !element->remove) {
    const uint64_t timeout = htobe64(element->timeout_ms);
    put_bytes(&m, NFTA_SET_ELEM_TIMEOUT, &timeout, sizeof timeout);
  }
  put_end(&m, item);
  put_end(&m, list);
  return add_to(batch, &m, true);
}

bool change_elements(int fd, const struct element *elements, size_t count) {
  struct batch batch = {.bytes = malloc(MAX_BATCH)};
  if (batch.bytes == NULL) return false;
  bool done = put_border(&batch, NFNL_MSG_BATCH_BEGIN);
  for (size_t i = 0; done && i < count; i++) done = put_element(&batch, &elements[i]);
  done = done && put_border(&batch, NFNL_MSG_BATCH_END) && netlink_ask_all(fd, batch.bytes, batch.size, (unsigned)count);
  free(batch.bytes);
  return done;
}
