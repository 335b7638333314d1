<?php
// GET shows what guests wrote, POST adds an entry.
require "database.php";
require "title.inc";

$db = database();
if ($_SERVER["REQUEST_METHOD"] === "POST" && ($_POST["entry"] ?? "") !== "") {
    $insert = $db->prepare("INSERT INTO entries (text) VALUES (?)");
    $insert->execute([substr($_POST["entry"], 0, 500)]);
}
$entries = $db->query("SELECT text FROM entries ORDER BY id")->fetch_all(MYSQLI_ASSOC);
?>
<!doctype html>
<title><?= htmlspecialchars(TITLE) ?></title>
<h1><?= htmlspecialchars(TITLE) ?></h1>
<form method="post"><input name="entry"><button>Sign</button></form>
<ul>
<?php foreach ($entries as ["text" => $text]): ?>
<li><?= htmlspecialchars($text) ?></li>
<?php endforeach ?>
</ul>
