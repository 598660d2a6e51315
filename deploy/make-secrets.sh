#!/bin/sh
# Makes the secrets of compose.fleet.yaml in `secrets/` beside this file (or in the given folder), which must not exist.
# openssl makes the certificate. Containers read the files as different users, so the folder restricts access, not the files.
set -eu
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
  echo "$folder exists already; nothing was changed. Move it away, or name another folder" >&2
  exit 1
fi
umask 077
draft=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$draft"' EXIT
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; } # $1 random bytes in hexadecimal
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
# The first API key; read only when the control database is empty.
api_key = "$(random 20)"
# One database can contain both parts. Several regions share one control database; each region has its own region database.
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

# Self-signed, so clients that verify certificates reject it: replace it by your own certificate.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=localhost" \
  -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$draft/tls.key" -out "$draft/tls.crt" 2>/dev/null

chmod 444 "$draft"/*
mv "$draft" "$folder"
trap - EXIT
echo "created $folder; the API key is in sottovoce.toml"
