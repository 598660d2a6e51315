#!/bin/sh
# Makes what compose.fleet.yaml calls secrets, once, in `secrets/` beside this file (or in the folder given). openssl makes the certificate.
# Containers read the files as users of their own: the folder is closed to others instead of the files.
set -eu
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
  echo "$folder exists; nothing was changed" >&2
  exit 1
fi
umask 077
draft=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$draft"' EXIT
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; } # so many bytes in hexadecimal
password=$(random 24)
access_key=GK$(random 12)
secret_key=$(random 32)

printf '%s' "$password" >"$draft/postgres-password"
head -c 32 /dev/urandom | base64 | tr '+/' '-_' >"$draft/secrets.key"

cat >"$draft/s3.env" <<EOF
GARAGE_RPC_SECRET=$(random 32)
GARAGE_DEFAULT_BUCKET=sottovoce
GARAGE_DEFAULT_ACCESS_KEY=$access_key
GARAGE_DEFAULT_SECRET_KEY=$secret_key
EOF

cat >"$draft/sottovoce.toml" <<EOF
# The first API key; taken once, when the control database is empty.
api_key = "$(random 20)"
# One database may hold both parts. With several regions the control database is one for all, the other one for each.
database_url = "postgresql://sottovoce:$password@postgres:5432/sottovoce"
control_database_url = "postgresql://sottovoce:$password@postgres:5432/sottovoce"
blob_url = "s3://sottovoce/eu1"

[blob_options]
endpoint = "http://s3:3900"
region = "garage"
access_key_id = "$access_key"
secret_access_key = "$secret_key"
virtual_hosted_style_request = "false"
EOF

# Of no worth to a client that checks it: put a certificate of yours in its place.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=localhost" \
  -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$draft/tls.key" -out "$draft/tls.crt" 2>/dev/null

chmod 444 "$draft"/*
mv "$draft" "$folder"
trap - EXIT
echo "made $folder; the API key stands in sottovoce.toml"
