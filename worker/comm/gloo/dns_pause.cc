#include "worker/comm/gloo/dns_pause.h"

#include <netinet/in.h>
#include <resolv.h>

#include <utility>

namespace tessera {

// _res is the C library's resolver state of the calling thread (resolver(3)).

DnsPause::DnsPause() {
  if ((_res.options & RES_INIT) == 0) res_ninit(&_res);
  name_servers_ = std::exchange(_res.nscount, 0);
}

DnsPause::~DnsPause() { _res.nscount = name_servers_; }

}  // namespace tessera
