# shellcheck shell=bash
# Starts a temporary PostgreSQL server. Sourced by scripts/test and the scripts in benches/.

fail() {
    echo "$0: $1" >&2
    exit 1
}

# Prints the folder of PostgreSQL's server programs. Debian keeps them off the PATH.
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

# Installs these Debian packages, or fails with the command that does.
install_packages() {
    [ $# -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "install $* (Debian, as root: apt-get install $*)"
    fi
    apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@"
}

# Runs a command as a user that is not root: PostgreSQL and pgbouncer refuse to run as root.
as_server() {
    if [ "$(id -u)" = 0 ]; then
        (cd "$folder" && runuser -u "$server_user" -- "$@")
    else
        "$@"
    fi
}

# Prints a free port. Another program can take it first, so callers retry.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# Stops the servers of a folder and removes it.
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

# Starts PostgreSQL. Each argument is a line of its configuration.
start_postgres() {
    local locale=(--no-locale)
    # A collation that differs from byte order, to find queries that depend on byte order without asking for it.
    if "$programs/initdb" --help | grep --quiet icu-locale; then
        locale=(--locale=C --locale-provider=icu --icu-locale=en-US)
    fi
    # Plain passwords over loopback: SCRAM costs each connection thousands of hashes.
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
    fail "PostgreSQL did not start"
}

# Creates a temporary folder, $folder. At exit its servers are stopped and it is removed.
make_folder() {
    programs=$(postgres_programs)
    server_user=postgres
    id "$server_user" >/dev/null 2>&1 || server_user=nobody
    # Removes the folders of runs that were killed.
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

# Starts a server whose commits wait for the disk, unless LICENSE_TEST_POSTGRES names one.
start_postgres_for_benches() {
    [ -z "${LICENSE_TEST_POSTGRES:-}" ] || return 0
    [ -n "$(postgres_programs)" ] || install_packages postgresql
    make_folder
    start_postgres "shared_buffers = ${SHARED_BUFFERS:-2GB}" "max_wal_size = 4GB"
    export LICENSE_REQUIRE_POSTGRES=1
}
