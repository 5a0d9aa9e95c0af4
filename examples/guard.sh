#!/usr/bin/env bash
# Let logits through to the next step of a pipeline only if they survive half precision.
set -euo pipefail
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT

# The logits of two models, a row for each image. Those of the second are 10,000 times as large.
awk 'BEGIN { for (row = 1; row <= 500; row++) print row % 7 - 3, row % 11, row % 13 / 2 }' \
  > "$place/small.csv"
awk -F' ' '{ print $1 * 1e4, $2 * 1e4, $3 * 1e4 }' "$place/small.csv" > "$place/large.csv"

cd "$place"
for logits in small.csv large.csv; do
  if stablelse scan "$logits" --function softmax --dtype float16 --quiet 2> "$place/why"; then
    echo "$logits: on to the next step"
  else
    echo "$logits: stopped"
    cut -d: -f2- "$place/why" | fold -s -w 76 | sed 's/^ */    /; s/ *$//'
  fi
done
