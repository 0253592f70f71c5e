// Names of DNS as operations: what was asked and nothing else, folded so that there are few.
//
//   api.example.com, orders                    up to three labels, as they are
//   a.b.example.com                            *.b.example.com: of longer names the last three labels, the
//                                              first of them folded if the name had more
//   orders.shop.svc.cluster.local              service, namespace and what is behind `svc`, as they are
//   10-1-2-3.orders.shop.svc.cluster.local     *.shop.svc.cluster.local
//   a.com.shop.svc.cluster.local               *.shop.svc.cluster.local, as a search path makes it
//   8.8.8.8.in-addr.arpa, ….ip6.arpa           *.in-addr.arpa, *.ip6.arpa
//   10.0.0.1                                   {address}
//   9f86d081884c7d65.example.com               *.example.com: a label that identifies a single thing, unless
//                                              it is one of the last two
#pragma once

#include <cstddef>
#include <cstdint>

#include "../operation.h"

namespace skybraid::l7::dns {

// Appends the name that begins at `bytes` in its wire form (checked before: whole, without pointers), lower
// case.
void AddName(const uint8_t* bytes, OperationText& out);

// Bytes of a whole name without pointers, its last zero included; 0: there is none within `size`.
size_t NameBytes(const uint8_t* bytes, size_t size);

}  // namespace skybraid::l7::dns
