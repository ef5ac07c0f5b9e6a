#!/bin/sh
# Installs a file of requirements without what nothing here uses: tests, headers, and pyarrow's own network clients.
# usage: install.sh REQUIREMENTS
set -eu

pip install --no-cache-dir --requirement "$1"
cd "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
find . -type d -name tests -prune -exec rm -rf {} +
rm -rf pyarrow/include pyarrow/src pyarrow/*flight* pyarrow/*s3*
