#!/usr/bin/env bash
# Sees that the system libraries are there which VTK's off-screen rendering and Qt need; installs them on Debian and
# Ubuntu when run as root, and says what to type otherwise. Without them the tests that draw are skipped or fail, nothing else.
set -u

[ "$(uname -s)" = Linux ] || exit 0

libraries=(libEGL.so.1 libGL.so.1 libEGL_mesa.so.0 libxkbcommon.so.0 libdbus-1.so.3 libfontconfig.so.1 libglib-2.0.so.0)
packages=(libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0)

missing() {
  local ldconfig known
  ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
  known=$("$ldconfig" -p 2>/dev/null)
  for library in "${libraries[@]}"; do
    case "$known" in *"$library "*) ;; *) echo "$library" ;; esac
  done
}

absent=$(missing)
[ -n "$absent" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing system libraries for off-screen rendering: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  absent=$(missing)
  [ -n "$absent" ] || exit 0
fi

echo "Missing system libraries: $(echo $absent)"
echo "Drawing off-screen needs them. On Debian or Ubuntu: sudo apt-get install ${packages[*]}"
