# shellcheck shell=bash
# Starts a PostgreSQL of a script's own. Sourced by scripts/test and by the scripts of the benches.

fail() {
    echo "$0: $1" >&2
    exit 1
}

# The folder with the programs of PostgreSQL's server. Debian keeps them off the PATH.
postgres_programs() {
    local pg_ctl
    for pg_ctl in "$(command -v pg_ctl)" $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_ctl | sort --version-sort --reverse); do
        pg_ctl=$(readlink -f "$pg_ctl") || continue
        if [ -x "$pg_ctl" ] && [ -x "${pg_ctl%/*}/initdb" ] && [ -x "${pg_ctl%/*}/postgres" ]; then
            echo "${pg_ctl%/*}"
            return
        fi
    done
}

# Installs the Debian packages that are named, where it can.
install_packages() {
    [ $# -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "install $* (Debian, as root: apt-get install $*)"
    fi
    apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@"
}

# PostgreSQL and pgbouncer refuse to run as root.
as_server() {
    if [ "$(id -u)" = 0 ]; then
        (cd "$folder" && runuser -u "$server_user" -- "$@")
    else
        "$@"
    fi
}

# A port that nobody listens on. Another may take it before it is used: callers try again.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# Stops what runs in a folder of these scripts, and removes it.
clear_folder() {
    local folder=$1
    if [ -s "$folder/pgbouncer.pid" ]; then
        kill "$(cat "$folder/pgbouncer.pid")" 2>/dev/null || true
    fi
    if [ -s "$folder/data/postmaster.pid" ]; then
        as_server "$programs/pg_ctl" --pgdata="$folder/data" --mode=immediate --wait --silent stop >/dev/null || true
    fi
    rm -rf "$folder"
}

# Settings come as arguments, one line each.
start_postgres() {
    local locale=(--no-locale)
    # A language whose order is not that of bytes, so that texts which must compare by bytes are seen to do so.
    if "$programs/initdb" --help | grep --quiet icu-locale; then
        locale=(--locale=C --locale-provider=icu --icu-locale=en-US)
    fi
    # Plain passwords, on this machine's loopback: the usual ones cost each of many connections some 4,096 hashes.
    as_server "$programs/initdb" --pgdata="$folder/data" --username=postgres --pwfile="$folder/password" \
        --auth=password --encoding=UTF8 "${locale[@]}" --no-sync --no-instructions >"$folder/initdb.log" 2>&1 ||
        { cat "$folder/initdb.log" >&2; fail "initdb failed"; }
    printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = '$folder'" "$@" \
        >>"$folder/data/postgresql.conf"
    local tries
    for tries in 1 2 3 4 5; do
        port=$(free_port)
        if as_server "$programs/pg_ctl" --pgdata="$folder/data" --log="$folder/postgres.log" --wait --silent \
            --options="-p $port" start >/dev/null 2>&1; then
            export LICENSE_TEST_POSTGRES="postgres://postgres:$password@127.0.0.1:$port/postgres"
            return
        fi
    done
    cat "$folder/postgres.log" >&2
    fail "PostgreSQL does not start"
}

# A folder of this run's own, in $folder, gone at the end with all that runs in it.
make_folder() {
    programs=$(postgres_programs)
    server_user=postgres
    id "$server_user" >/dev/null 2>&1 || server_user=nobody
    # What a run left that was killed: its own number is dead.
    local left
    for left in "${TMPDIR:-/tmp}"/license-test.*; do
        if [ -s "$left/script.pid" ] && ! kill -0 "$(cat "$left/script.pid")" 2>/dev/null; then
            folder=$left clear_folder "$left"
        fi
    done
    folder=$(mktemp -d "${TMPDIR:-/tmp}/license-test.XXXXXX")
    trap 'clear_folder "$folder"' EXIT
    echo $$ >"$folder/script.pid"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "$password" >"$folder/password"
    echo "\"postgres\" \"$password\"" >"$folder/users"
    [ "$(id -u)" != 0 ] || chown -R "$server_user" "$folder"
}

# For benches: a server whose commits wait for the disk, as in earnest. What runs already is used, where it is named.
start_postgres_for_benches() {
    [ -z "${LICENSE_TEST_POSTGRES:-}" ] || return 0
    [ -n "$(postgres_programs)" ] || install_packages postgresql
    make_folder
    start_postgres "shared_buffers = ${SHARED_BUFFERS:-2GB}" "max_wal_size = 4GB"
    export LICENSE_REQUIRE_POSTGRES=1
}
