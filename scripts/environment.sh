# shellcheck shell=bash
# Sourced by ./serve, ./test and scripts/*: their Python environments, made on first use, remade when a lock changes.
# When nothing has changed this costs a few milliseconds: no Python is started to find that out.

say() { printf '%s\n' "$*" >&2; }

# is_current ENVIRONMENT CHECKOUT LAYER...: made for this checkout, finished, each layer as its lock file is now.
is_current() {
  local environment=$1 checkout=$2 made_for layer
  shift 2
  [[ -x $environment/bin/python && -f $environment/locks/checkout && ! -e $environment/locks/unfinished ]] || return 1
  read -r made_for <"$environment/locks/checkout" || return 1
  [[ $made_for == "$checkout" ]] || return 1
  for layer in "$@"; do
    [[ -f $environment/locks/$layer.lock ]] || return 1
    [[ $(<"$checkout/requirements/$layer.lock") == "$(<"$environment/locks/$layer.lock")" ]] || return 1
  done
}

# version_of PYTHON: its version as one number (311 for 3.11); 0 when it does not run.
version_of() {
  "$1" -c 'import sys; print(sys.version_info[0] * 100 + sys.version_info[1])' 2>/dev/null </dev/null || echo 0
}

# find_python: the first interpreter of a version that the locks are tested with (3.11 to 3.14), or else a newer one.
find_python() {
  local candidate version newer=
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python \
    "${HOME:-/nonexistent}"/.pyenv/versions/3.*/bin/python3; do
    command -v -- "$candidate" >/dev/null || continue
    version=$(version_of "$candidate")
    if ((version >= 311 && version <= 314)); then
      command -v -- "$candidate"
      return
    fi
    if ((version > 314)) && [[ -z $newer ]]; then newer=$(command -v -- "$candidate"); fi
  done
  [[ -n $newer ]] && echo "$newer"
}

# use_environment CHECKOUT NAME LAYER...: sets $python. A layer is a file of requirements/; "LAYER?" may fail.
use_environment() {
  local checkout=$1 name=$2 maker
  shift 2
  local environment=${LLM_SERVICE_VENV_DIR:-$checkout/.venvs}/$name
  [[ $environment == /* ]] || environment=$PWD/$environment
  # shellcheck disable=SC2034  # for whoever sources this
  python=$environment/bin/python
  unset PYTHONHOME PYTHONPATH # another program's modules are none of ours
  if ! is_current "$environment" "$checkout" "${@%\?}"; then
    maker=$(find_python) || {
      say "llm-service needs Python 3.11 or newer, and none was found."
      say "Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python),"
      say "or name one: PYTHON=/path/to/python3 $0"
      exit 1
    }
    "$maker" -I "$checkout/scripts/make_environment.py" "$environment" "$checkout" "$@" || exit
  fi
}
