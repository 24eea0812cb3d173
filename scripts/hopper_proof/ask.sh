#!/bin/sh
# ask.sh PORT COMMAND...: start a server, wait until it answers, ask it for one token, end it. Its exit code: whether it answered.
port=$1
shift
"$@" &
server=$!
for _ in $(seq 600); do
  kill -0 $server 2>/dev/null || exit 1
  if curl -fs "http://127.0.0.1:$port/health"; then
    curl -fs "http://127.0.0.1:$port/v1/completions" -H 'Content-Type: application/json' -d '{"model": "proof", "prompt": "Hello", "max_tokens": 1}'
    answered=$?
    kill $server
    wait $server
    exit $answered
  fi
  sleep 0.2
done
kill $server
exit 1
