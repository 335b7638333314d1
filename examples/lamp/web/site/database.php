<?php
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

function database(): mysqli
{
    return new mysqli(
        getenv("DB_HOST"),
        getenv("DB_USER"),
        trim(file_get_contents("/run/secrets/db-password")),
        getenv("DB_NAME")
    );
}
