#include "worker/comm/gloo/scoped_no_dns.h"

#include <netinet/in.h>
#include <resolv.h>

#include <utility>

namespace tessera {

// _res is the C library's resolver state of the calling thread (resolver(3)).

ScopedNoDns::ScopedNoDns() {
  if ((_res.options & RES_INIT) == 0) res_ninit(&_res);
  name_servers_ = std::exchange(_res.nscount, 0);
}

ScopedNoDns::~ScopedNoDns() { _res.nscount = name_servers_; }

}  // namespace tessera
