"""Takes votes from the Redis list and counts them in PostgreSQL."""

import json
import os
import signal
import sys

import psycopg2
import redis


def connect():
    database = psycopg2.connect(
        host=os.environ["DB_HOST"],
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        dbname=os.environ["DB_NAME"],
    )
    with database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS votes (choice text PRIMARY KEY, count integer NOT NULL)")
    return database


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    queue = redis.Redis(host=os.environ.get("REDIS_HOST", "redis"))
    database = connect()
    print("ready", flush=True)
    while True:
        _, item = queue.blpop("votes")
        choice = json.loads(item)["vote"]
        with database, database.cursor() as cursor:
            cursor.execute(
                "INSERT INTO votes VALUES (%s, 1) ON CONFLICT (choice) DO UPDATE SET count = votes.count + 1",
                (choice,),
            )
        print(f"counted {choice}", flush=True)


if __name__ == "__main__":
    main()
