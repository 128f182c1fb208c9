#!/bin/sh
# Put the C++ headers of ONNX Runtime into FOLDER/onnxruntime: get-headers.sh FOLDER
#
# They come from Debian's package libonnxruntime-dev, which Debian has since version 13. Nothing is
# installed: the package is unpacked, so that Debian 12 will do, and no root is needed. Newer
# libraries work with these headers: ONNX Runtime keeps its interface.
set -eu
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -n 1)
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$folder"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
cd "$work"
set -- -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- \
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Acquire::Languages=none \
  -o APT::Sandbox::User="$(id -un)"
apt-get "$@" update
apt-get "$@" download libonnxruntime-dev
dpkg -x libonnxruntime-dev_*.deb unpacked
cd - >/dev/null
cp -R "$work/unpacked/usr/include/onnxruntime" "$folder"
