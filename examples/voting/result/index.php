<?php
// The result page: one line an option, read from PostgreSQL.
$connection = @pg_connect(sprintf(
    "host=%s user=%s password=%s dbname=%s connect_timeout=5",
    getenv("DB_HOST"),
    getenv("DB_USER"),
    getenv("DB_PASSWORD"),
    getenv("DB_NAME")
));
if ($connection === false) {
    http_response_code(503);
    echo "no connection to the database\n";
    return;
}
$exists = pg_fetch_result(pg_query($connection, "SELECT to_regclass('votes') IS NOT NULL"), 0, 0) === "t";
$rows = $exists ? pg_fetch_all(pg_query($connection, "SELECT choice, count FROM votes ORDER BY choice")) : [];
header("Content-Type: text/plain; charset=utf-8");
foreach ($rows as $row) {
    echo "{$row["choice"]}: {$row["count"]}\n";
}
