# Sourced after common.sh by the scripts that run something in a bare Debian 12: makes such a system in a folder, where
# packages come from the same sources, through the same proxies, with the same certificates as on this machine, which
# must run Debian 12 itself. Needs root and debootstrap.

# debian_sources: this machine's apt sources of Debian 12.
debian_sources() {
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    grep -E ' bookworm(-updates|-security)? ' | sort -u || true
}

# bare_system FOLDER BASE_TAR: the base system is made once, as BASE_TAR; FOLDER begins as its content.
bare_system() {
  local system="$1" base="$2" bootstrap="$2.bootstrap" started=$SECONDS sources mirror file
  sources="$(debian_sources)"
  mirror="$(awk '$3 == "bookworm" { print $2; exit }' <<<"$sources")"
  [ -n "$mirror" ] || die "this machine's apt knows no Debian 12 source (is it Debian 12? was apt-get update run?)"
  if [ ! -f "$base" ]; then
    rm -rf "$bootstrap"
    mkdir -p "$bootstrap"
    debootstrap --variant=minbase bookworm "$bootstrap" "$mirror" >"$base.log" 2>&1 || die "debootstrap failed; see $base.log"
    tar -C "$bootstrap" -cf "$base.part" . && mv "$base.part" "$base"
    rm -rf "$bootstrap"
    say "base system: $((SECONDS - started)) s"
  fi
  rm -rf "$system"
  mkdir -p "$system"
  tar -C "$system" -xf "$base"
  printf '%s\n' "$sources" >"$system/etc/apt/sources.list"
  apt-config dump | grep -E '^Acquire::(http|https|Check)' >"$system/etc/apt/apt.conf.d/99host" || true
  cp /etc/resolv.conf /etc/hosts "$system/etc/"
  for file in /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
    [ -f "$file" ] && cat "$file" >>"$system/etc/pip.conf"
  done
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$system/etc/host-certificates.crt"
  fi
}

# bare_system_variables FOLDER: fills the array `variables` with the environment for commands in that system.
bare_system_variables() {
  local system="$1" name
  variables=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}")
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_DEFAULT_TIMEOUT; do
    [ -n "${!name:-}" ] && variables+=("$name=${!name}")
  done
  while IFS= read -r name; do variables+=("$name=${!name}"); done < <(compgen -v TESSERA_ || true)
  if [ -f "$system/etc/host-certificates.crt" ]; then
    variables+=(PIP_CERT=/etc/host-certificates.crt SSL_CERT_FILE=/etc/host-certificates.crt)
  fi
}
