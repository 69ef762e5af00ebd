#!/bin/sh
# A bulk run on a sandbox that is started first, in another terminal:
#
#     membership-sdk sandbox --port 8080
#
set -eu
export MEMBERSHIP_BASE_URL="${MEMBERSHIP_BASE_URL:-http://127.0.0.1:8080}" MEMBERSHIP_API_KEY=sandbox-key
rm -f run.db* results.csv  # of an earlier try

echo "1. The plan: a line for each contract, a column for each argument."
cat > plan.csv <<'PLAN'
customer_id,contract_id
1001,2003
1001,2002
PLAN

echo "2. Check it; nothing is sent."
membership-sdk bulk plan.csv --operation withdraw_cancelation --dry-run

echo "3. Carry it out. If this is killed, the same command with --resume goes on."
membership-sdk bulk plan.csv --operation withdraw_cancelation --journal run.db --results results.csv --yes

echo "4. Where is it? What became of each row?"
membership-sdk status run.db
cat results.csv

echo "5. Go on: nothing is left, and nothing is sent again."
membership-sdk bulk --journal run.db --resume --yes
