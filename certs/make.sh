#!/usr/bin/env bash
# Makes a CA and a serving certificate by hand, for `pullpass serve --tls-cert --tls-key` where neither cert-manager nor
# Pullpass itself keeps them. Run it again before the certificate ends; the CA is kept if it is there, so that the
# caBundle of the webhook need not change.
set -euo pipefail

if [ $# -lt 1 ]; then
  echo "usage: certs/make.sh DIRECTORY [NAME...]" >&2
  echo "  NAME  a DNS name or an IP address; default pullpass.pullpass.svc, as the API server checks it" >&2
  exit 2
fi
directory=$1
shift
[ $# -gt 0 ] || set -- pullpass.pullpass.svc

names=
for name in "$@"; do
  case $name in
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
  esac
  case $name in *:*) kind=IP ;; esac
  names+=${names:+,}$kind:$name
done

umask 077
mkdir -p "$directory"
cd "$directory"
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

if [ ! -e ca.key ]; then
  openssl req -x509 "${curve[@]}" -keyout ca.key -out ca.crt -days 3650 -subj "/CN=Pullpass CA" \
    -addext "keyUsage=critical,keyCertSign" 2>/dev/null
fi
openssl req "${curve[@]}" -keyout tls.key.new -out tls.csr -subj "/CN=Pullpass" 2>/dev/null
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out tls.crt.new 2>/dev/null -extfile <(
  echo "subjectAltName=$names"
  echo "extendedKeyUsage=serverAuth"
  echo "basicConstraints=critical,CA:FALSE"
)
mv tls.key.new tls.key
mv tls.crt.new tls.crt
rm -f tls.csr ca.srl
chmod 644 ca.crt tls.crt
echo "ca.crt, tls.crt and tls.key are in $directory, for $*"
