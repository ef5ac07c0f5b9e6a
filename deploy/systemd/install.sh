#!/usr/bin/env bash
# Installs miStudio mesh as systemd services: broker, gateway and the workers of a profile.
# --dry-run shows every step and every file; --help the options; README.md in the folder above explains.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
units=(mistudio.target mistudio-broker.service mistudio-gateway.service mistudio-worker@.service)
unit_folder=/etc/systemd/system
settings=/etc/mistudio/mistudio.env
default_prefix=/opt/mistudio
hidden='^/(home|root|run|tmp|var/tmp)(/|$)' # what the units' sandbox keeps from the services

profile=minimal prefix=$default_prefix root='' dry_run='' action=install scale=()
instances=() memory=() # what the profile means: instance i may take memory[i] bytes, or '-'

usage() {
  cat <<'EOF'
usage: install.sh [--profile NAME] [--scale NAME=N]... [--prefix DIR] [--root DIR] [--dry-run]
       install.sh --uninstall [--prefix DIR] [--root DIR] [--dry-run]

  --profile NAME   which workers run here: a profile of the queue table, e.g. minimal (default), full, datasets, training
  --scale NAME=N   run N processes of a worker, e.g. trainer=2; may be repeated
  --prefix DIR     Python environment with mistudio; made from this checkout if it is missing (default: /opt/mistudio)
  --root DIR       write and enable below DIR only, as for an image: no user, no Python environment, nothing is started
  --dry-run        print every step and every file that would be written, and do nothing
  --uninstall      stop and remove the services; configuration and data stay

Run it again with another profile to change the workers. PYTHON names the interpreter for a new environment.
EOF
}

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

say() { printf '%s\n' "$*"; }

# Runs a command, or shows it.
run() {
  if [[ $dry_run ]]; then
    printf '+'
    printf ' %q' "$@"
    printf '\n'
  else
    "$@"
  fi
}

# Writes stdin to a file below the root in one step, or shows it. Arguments: path, mode, and owner if not root's.
put() {
  local path=$root$1 mode=$2 owner=${3:-} content temporary
  content=$(cat)
  if [[ $dry_run ]]; then
    say "+ write $path (mode $mode${owner:+, owner $owner}):"
    say "    ${content//$'\n'/$'\n    '}"
    return
  fi
  mkdir -p "$(dirname "$path")"
  if [[ -f $path && $(<"$path") == "$content" ]]; then return; fi
  temporary=$(mktemp "$path.XXXXXX")
  printf '%s\n' "$content" >"$temporary"
  if [[ $owner && ! $root ]]; then chown "$owner" "$temporary"; fi
  chmod "$mode" "$temporary"
  mv "$temporary" "$path"
  say "wrote $path"
}

# systemctl on this machine, or on the files below the root.
control() { run systemctl ${root:+"--root=$root"} --quiet "$@"; }

parse_arguments() {
  while (($#)); do
    case $1 in
      --profile | --prefix | --root | --scale)
        if [[ ! ${2:-} ]]; then fail "$1 needs a value" 2; fi
        case $1 in
          --profile) profile=$2 ;;
          --prefix) prefix=${2%/} ;;
          --root) root=$(realpath -m "$2") ;;
          --scale) scale+=(--scale "$2") ;;
        esac
        shift 2
        continue
        ;;
      --dry-run) dry_run=yes ;;
      --uninstall) action=uninstall ;;
      -h | --help) usage && exit ;;
      *) fail "there is no option $1; see --help" 2 ;;
    esac
    shift
  done
}

check_machine() {
  if [[ ! $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ ]]; then
    fail "--prefix must be an absolute path of letters, digits and . _ + -" 2
  fi
  if [[ $prefix =~ $hidden && ! $root ]]; then
    fail "the services cannot see $prefix (they have no /home, /root, /run or /tmp); choose another --prefix" 2
  fi
  if [[ $root || $dry_run ]]; then return; fi
  if ((EUID)); then
    fail "this needs root: run it with sudo, or see with --dry-run what it would do"
  fi
  if [[ ! -d /run/systemd/system ]]; then
    fail "systemd does not run on this machine: use 'mistudio up --detach' or deploy/compose.yaml"
  fi
}

# A Python environment leads to its interpreter through a link, wherever that lies.
check_interpreter() {
  local real
  real=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
  if [[ $real =~ $hidden && ! $root && ! $dry_run ]]; then
    fail "the services cannot see the interpreter $real: set PYTHON to one elsewhere, e.g. PYTHON=/usr/bin/python3"
  fi
}

# The interpreter that knows the queue table: the installed one, or one that reads this checkout.
choose_python() {
  python=$prefix/bin/python
  if [[ ! -x $python ]]; then python=$(command -v "${PYTHON:-python3}" || true); fi
  if [[ ! $python ]]; then fail "there is no ${PYTHON:-python3}: install Python 3.11 or newer, or set PYTHON"; fi
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    fail "Python 3.11 or newer is needed and $python is $("$python" -V): set PYTHON to a newer one"
  fi
}

is_installed() { [[ -x $prefix/bin/python ]] && "$prefix/bin/python" -P -c 'import mistudio_gateway' 2>/dev/null; }

read_plan() {
  local table instance bytes path='' plan
  table=$(sed -n 's/^MISTUDIO_QUEUES_FILE=//p' "$root$settings" 2>/dev/null | tail -n 1 | tr -d "\"'" || true)
  if ! is_installed; then path=$checkout/libs/runtime; fi
  plan=$(PYTHONPATH=$path PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 "$python" -m mistudio_runtime.stack.units \
    --profile "$profile" "${scale[@]}" ${table:+--table "$root$table"}) || exit
  while read -r instance bytes; do
    instances+=("$instance")
    memory+=("$bytes")
  done <<<"$plan"
}

install_package() {
  if [[ $root ]] || is_installed; then return; fi
  say "installing miStudio mesh into $prefix (a few minutes)"
  if [[ ! -x $prefix/bin/python ]] && ! run "$python" -m venv "$prefix"; then
    rm -rf "$prefix"
    fail "python's venv module is needed (Debian: apt install python3-venv)"
  fi
  run "$prefix/bin/python" -m pip install --quiet --disable-pip-version-check "${checkout}[all]"
}

make_user() {
  put /etc/sysusers.d/mistudio.conf 644 <"$here/mistudio.sysusers.conf"
  if [[ ! $root ]]; then run systemd-sysusers /etc/sysusers.d/mistudio.conf; fi
}

random_hex() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Secrets pass through this shell's own variables into the file, never through a command line or the output.
write_settings() {
  local text token='(generated)' password='(generated)'
  if [[ ! $dry_run ]]; then
    token=$(random_hex)
    # The letter in front: nats-server would read some strings of digits as a number.
    password=b$(random_hex)
  fi
  text=$(<"$here/mistudio.env.example")
  text=${text//@TOKEN@/"$token"}
  text=${text//@PASSWORD@/"$password"}
  put_once "$settings" 640 root:mistudio <<<"$text"
  put_once /etc/mistudio/nats.conf 644 <"$here/nats.conf"
}

put_once() {
  if [[ -e $root$1 ]]; then
    say "kept $root$1"
  else
    put "$@"
  fi
}

write_units() {
  local unit text
  for unit in "${units[@]}"; do
    text=$(<"$here/$unit")
    put "$unit_folder/$unit" 644 <<<"${text//"$default_prefix"/"$prefix"}"
  done
}

# The backstop behind the limit of each job: a worker and its jobs never take more than this from the machine.
write_limits() {
  local i
  for i in "${!instances[@]}"; do
    if [[ ${memory[i]} == - ]]; then continue; fi
    put "$(limit_of "${instances[i]}")" 644 <<EOF
# Written by install.sh from the queue table: what the jobs of this worker may take together, and its own.
[Service]
MemoryMax=${memory[i]}
EOF
  done
}

limit_of() { say "$unit_folder/mistudio-worker@$1.service.d/10-memory.conf"; }

workers() { printf 'mistudio-worker@%s.service\n' "${instances[@]}"; }

enabled_workers() {
  local link
  for link in "$root$unit_folder"/mistudio.target.wants/mistudio-worker@*.service; do
    if [[ -L $link ]]; then basename "$link"; fi
  done
}

# Whoever has disabled the broker or the gateway of this machine keeps it so.
enable_units() {
  local wanted
  mapfile -t wanted < <(workers)
  if [[ ! $known ]]; then wanted+=(mistudio-broker.service mistudio-gateway.service mistudio.target); fi
  if [[ ! $root ]]; then control daemon-reload; fi
  control enable "${wanted[@]}"
}

drop_other_workers() {
  local unit instance
  while read -r unit; do
    if workers | grep -qxF -- "$unit"; then continue; fi
    say "taking away $unit: its jobs finish, save a checkpoint or go back to their queue"
    instance=${unit#mistudio-worker@}
    if [[ $root ]]; then control disable "$unit"; else control disable --now "$unit"; fi
    remove "$(limit_of "${instance%.service}")"
  done < <(enabled_workers)
}

remove() {
  local path=$root$1
  if [[ ! -e $path ]]; then return; fi
  run rm "$path"
  if [[ $path == *.service.d/* && ! $dry_run ]]; then rmdir --ignore-fail-on-non-empty "$(dirname "$path")"; fi
}

finish() {
  say "profile $profile: broker, gateway and the workers ${instances[*]}"
  if [[ $root || $dry_run ]]; then return; fi
  if systemctl --quiet is-active mistudio.target; then
    control start mistudio.target # the workers that are new
    say "to take changed units or settings in use: systemctl restart mistudio.target"
  else
    say "start it: systemctl start mistudio.target; look at it: $prefix/bin/mistudio status; logs: journalctl -fu 'mistudio-*'"
  fi
}

install() {
  local known=''
  if [[ -e $root$unit_folder/mistudio.target ]]; then known=yes; fi
  choose_python
  read_plan
  check_interpreter
  install_package
  make_user
  write_settings
  write_units
  write_limits
  drop_other_workers
  enable_units
  finish
}

uninstall() {
  local found unit
  mapfile -t found < <(enabled_workers)
  if [[ -e $root$unit_folder/mistudio.target ]]; then
    found=(mistudio.target mistudio-gateway.service mistudio-broker.service "${found[@]}")
    say "stopping: jobs finish, save a checkpoint or go back to their queue"
    # The pattern: of the target alone, systemctl would not wait for the services that stop with it.
    if [[ ! $root ]]; then control stop 'mistudio*'; fi
    control disable "${found[@]}"
  fi
  for unit in "$root$unit_folder"/mistudio-worker@*.service.d/10-memory.conf; do
    remove "${unit#"$root"}"
  done
  for unit in "${units[@]}"; do remove "$unit_folder/$unit"; done
  remove /etc/sysusers.d/mistudio.conf
  if [[ ! $root ]]; then control daemon-reload; fi
  say "removed the services; kept /etc/mistudio, /var/lib/mistudio, $prefix and the user mistudio"
  say "to remove these as well, all data included: rm -r /etc/mistudio /var/lib/mistudio /var/cache/mistudio $prefix; userdel mistudio"
}

parse_arguments "$@"
check_machine
"$action"
