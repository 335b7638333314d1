<?php
require "database.php";
database()->query("SELECT 1");
echo "ok\n";
