# Sourced by run. start_postgres makes a private PostgreSQL that goes when the shell ends. It listens on a free port of
# 127.0.0.1 and exports
#   TEST_POSTGRES_URL      a superuser's address of it
#   TEST_POSTGRES_CONTROL  the beginning of a pg_ctl command for it, for the test that restarts it
# The server refuses to run as root; then it runs as the user postgres, whom Debian's package makes.

start_postgres() {
    local bin folder port as=()
    bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort --version-sort | tail -n 1)
    folder=$(mktemp -d /tmp/sptar-postgres.XXXXXX)
    port=$(python3 -c 'import socket; one = socket.socket(); one.bind(("127.0.0.1", 0)); print(one.getsockname()[1])')
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$folder"
        as=(runuser -u postgres --)
    fi
    TEST_POSTGRES_CONTROL="${as[*]} $bin/pg_ctl --silent --pgdata $folder/data --log $folder/log"
    # Nothing of it outlives the tests, so nothing needs to reach the disk.
    (
        cd "$folder"
        "${as[@]}" "$bin/initdb" --pgdata "$folder/data" --username sptar --auth trust --encoding UTF8 --no-locale --no-sync
        printf "%s\n" "listen_addresses = '127.0.0.1'" "port = $port" "unix_socket_directories = '$folder'" "fsync = off" \
            "synchronous_commit = off" "full_page_writes = off" | "${as[@]}" tee -a "$folder/data/postgresql.conf"
        $TEST_POSTGRES_CONTROL --wait start
    ) >"/tmp/$(basename "$folder").log" 2>&1 || { cat "/tmp/$(basename "$folder").log" >&2; return 1; }
    TEST_POSTGRES_URL="postgres://sptar@127.0.0.1:$port/postgres"
    export TEST_POSTGRES_URL TEST_POSTGRES_CONTROL
    # shellcheck disable=SC2064  # the values of now
    trap "cd / && { $TEST_POSTGRES_CONTROL --mode immediate stop || true; } >/dev/null 2>&1; rm -rf '$folder' '/tmp/$(basename "$folder").log'" EXIT
}
