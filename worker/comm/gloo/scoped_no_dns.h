#pragma once

namespace tessera {

// While one lives, the calling thread asks no name server: a lookup that neither the address itself
// nor the hosts file answers fails at once. c10d looks up the name of every peer that it connects
// to, for its log; a name server that is slow to answer would hold the joining of a group up for
// seconds.
class ScopedNoDns {
 public:
  ScopedNoDns();
  ~ScopedNoDns();
  ScopedNoDns(const ScopedNoDns&) = delete;
  ScopedNoDns& operator=(const ScopedNoDns&) = delete;

 private:
  int name_servers_ = 0;  // that the thread has else
};

}  // namespace tessera
