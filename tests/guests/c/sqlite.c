/* SQLite on files: a load like that of its own speed test, with checksums of the results.
 *
 *   load MODE     fills, changes and checks a database in one journal mode
 *   crash MODE    aborts in the middle of a transaction that has reached the disk
 *   recover       opens what the crash left
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sqlite3.h"

static sqlite3 *db;

static void fail(const char *what) {
    fprintf(stderr, "set-up: %s: %s\n", what, db ? sqlite3_errmsg(db) : "no database");
    exit(1);
}

static void run(const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(sql);
}

static void open_database(const char *path) {
    if (sqlite3_open(path, &db) != SQLITE_OK) fail(path);
}

static void close_database(void) {
    if (sqlite3_close(db) != SQLITE_OK) fail("close");
    db = NULL;
}

/* Prints a checksum of every value of every row, in the order of the rows. */
static void say(const char *label, const char *sql) {
    sqlite3_stmt *rows;
    uint64_t sum = 0xcbf29ce484222325u;
    int count = 0, state;
    char first[64] = "";
    if (sqlite3_prepare_v2(db, sql, -1, &rows, NULL) != SQLITE_OK) fail(sql);
    while ((state = sqlite3_step(rows)) == SQLITE_ROW) {
        for (int column = 0; column < sqlite3_column_count(rows); column++) {
            const unsigned char *text = sqlite3_column_text(rows, column);
            int bytes = sqlite3_column_bytes(rows, column);
            if (count == 0 && column == 0 && text) snprintf(first, sizeof first, "%s", (const char *)text);
            for (int i = 0; i < bytes; i++) sum = (sum ^ text[i]) * 0x100000001b3u;
            sum = (sum ^ 0xff) * 0x100000001b3u;
        }
        count++;
    }
    printf("%s: %d rows, first %s, sum %016llx\n", label, count, first, (unsigned long long)sum);
    if (state != SQLITE_DONE) fail(sql);
    sqlite3_finalize(rows);
}

static void set_mode(const char *mode) {
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", mode);
    say("journal mode", sql);
}

static const char *series(char *sql, size_t size, int from, int to) {
    snprintf(sql, size,
             "INSERT INTO numbers WITH RECURSIVE s(i) AS (SELECT %d UNION ALL SELECT i+1 FROM s WHERE i<%d) "
             "SELECT i, (i*2654435761)%%100003, 'row number ' || i || hex((i*40503)%%65536) FROM s",
             from, to);
    return sql;
}

static void check(void) {
    say("integrity", "PRAGMA integrity_check");
    say("all", "SELECT * FROM numbers ORDER BY id");
}

static void load(const char *mode) {
    char sql[512];
    open_database("/load.db");
    set_mode(mode);
    run("CREATE TABLE numbers(id INTEGER PRIMARY KEY, value INTEGER, text TEXT)");
    run("BEGIN");
    run(series(sql, sizeof sql, 1, 3000));
    run("COMMIT");
    for (int i = 0; i < 20; i++) run(series(sql, sizeof sql, 3001 + i, 3001 + i));
    run("CREATE INDEX by_value ON numbers(value)");
    run("CREATE INDEX by_text ON numbers(text)");
    check();
    say("range", "SELECT id, text FROM numbers WHERE value BETWEEN 1000 AND 9000 ORDER BY value, id");
    say("aggregate", "SELECT value%10, count(*), sum(id), avg(value) FROM numbers GROUP BY 1");
    say("like", "SELECT id FROM numbers WHERE text LIKE '%77%' ORDER BY text DESC");
    run("BEGIN");
    run("UPDATE numbers SET value=value*3%100003, text=text||'!' WHERE id%7=0");
    run("DELETE FROM numbers WHERE id%11=0");
    say("within the transaction", "SELECT count(*), sum(value) FROM numbers");
    run("ROLLBACK");
    say("rolled back", "SELECT count(*), sum(value) FROM numbers");
    run("BEGIN; UPDATE numbers SET value=value+1 WHERE id<500; SAVEPOINT inner");
    run("DELETE FROM numbers WHERE id>1000; ROLLBACK TO inner; COMMIT");
    say("after a savepoint", "SELECT count(*), sum(value) FROM numbers");
    run("ATTACH '/other.db' AS other");
    /* On a libc for WASI, SQLite cannot change both databases in one transaction. */
    run("CREATE TABLE other.copy AS SELECT * FROM numbers WHERE id%2=0");
    run("DELETE FROM numbers WHERE id%2=0");
    say("attached", "SELECT count(*), sum(id) FROM other.copy");
    run("DETACH other");
    run("PRAGMA cache_size=10");
    run("CREATE TABLE sorted AS SELECT a.text||b.text AS t FROM numbers a, numbers b WHERE a.id<120 AND b.id<120 ORDER BY t DESC");
    say("sorted", "SELECT t FROM sorted");
    run("VACUUM");
    check();
    say("pages", "PRAGMA page_count");
    close_database();
    open_database("/load.db");
    check();
    close_database();
    /* In some modes the rest of the journal holds a random number. */
    unlink("/load.db-journal");
}

static void crash(const char *mode) {
    char sql[512];
    open_database("/crash.db");
    set_mode(mode);
    run("CREATE TABLE numbers(id INTEGER PRIMARY KEY, value INTEGER, text TEXT)");
    run(series(sql, sizeof sql, 1, 1000));
    say("committed", "SELECT count(*), sum(value) FROM numbers");
    /* Changed pages reach the database before the commit; the old ones are in a synced journal. */
    run("PRAGMA cache_size=5; BEGIN; UPDATE numbers SET value=0, text='lost'||text");
    fflush(stdout);
    abort();
}

static void recover(void) {
    /* Here SQLite locks by a directory, which its crash left behind. */
    if (rmdir("/crash.db.lock")) fail("no lock was left");
    open_database("/crash.db");
    say("recovered", "SELECT count(*), sum(value) FROM numbers");
    check();
    close_database();
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    const char *mode = count > 2 ? arguments[2] : "delete";
    if (!strcmp(what, "load")) load(mode);
    else if (!strcmp(what, "crash")) crash(mode);
    else if (!strcmp(what, "recover")) recover();
    else fail("usage: load MODE | crash MODE | recover");
    return 0;
}
