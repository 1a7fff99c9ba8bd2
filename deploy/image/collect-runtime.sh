#!/bin/sh
# Copies Node and the shared libraries that it is linked with to a directory that becomes the root of an image, together
# with Debian's records of the packages they are from, by which scanners know what is in the image, and the authorities that
# Node trusts.
set -eu

root=$1
node=$(command -v node)

mkdir -p "$root/usr/local/bin" "$root/var/lib/dpkg/status.d" "$root/tmp" "$root/etc/ssl/certs"
chmod 1777 "$root/tmp"
cp "$(readlink -f "$node")" "$root/usr/local/bin/node"
# Node brings the authorities that it trusts; credential providers look for theirs here.
"$node" -p 'tls.rootCertificates.join("\n")' >"$root/etc/ssl/certs/ca-certificates.crt"

# Lines of ldd: "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)" and "/lib64/ld-linux-x86-64.so.2 (0x...)".
ldd "$node" | sed -n 's/^\(.* => \)\{0,1\}[[:space:]]*\(\/[^ ]*\) (0x.*/\2/p' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp --dereference "$library" "$root$library"
  file=$(readlink -f "$library")
  # Debian records a file below /usr under the path without it, if the package was built before the two became one.
  package=$(dpkg-query --search "$file" 2>/dev/null || dpkg-query --search "${file#/usr}")
  package=${package%%: *}
  dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/${package%%:*}"
done
