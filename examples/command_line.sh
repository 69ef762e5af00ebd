#!/bin/sh
# The command line on a sandbox of its own: `--sandbox` needs no account, and nothing is real.
set -eu

echo "1. Is everything right?"
membership-sdk doctor --sandbox

echo "2. Read; without --json it is a table."
membership-sdk get-contract-data --customer-id 1001 --sandbox --json

echo "3. What would be sent?"
membership-sdk withdraw-contract-cancelation --customer-id 1001 --contract-id 2003 --sandbox --dry-run

echo "4. Cancel, and wait until it shows. On a sandbox it does not ask; elsewhere it does, unless --yes."
membership-sdk cancel-contract --customer-id 1001 --contract-id 2002 --on earliest --reason "Moving away" \
  --sandbox --json

echo "5. A contract that is not there: exit code 1, nothing was changed."
membership-sdk withdraw-contract-cancelation --customer-id 1001 --contract-id 9 --sandbox || echo "exit code $?"
