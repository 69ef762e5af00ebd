#!/bin/sh
# A bulk run that is killed, and goes on. On a sandbox that is started first, in another terminal:
#
#     membership-sdk sandbox --port 8080
#
set -eu
export MEMBERSHIP_BASE_URL=http://127.0.0.1:8080 MEMBERSHIP_API_KEY=sandbox-key
SANDBOX=$MEMBERSHIP_BASE_URL/_sandbox
curl() { command curl --silent --show-error --fail --output /dev/null "$@"; }

# Of an earlier try; and none of the faults is left when this one ends.
rm -f six.db*
curl --request POST "$SANDBOX/reset"
trap 'curl --request DELETE "$SANDBOX/faults"' EXIT

echo "1. Six canceled contracts, and a plan that withdraws each cancelation."
echo customer_id,contract_id > six.csv
for contract in 5001 5002 5003 5004 5005 5006; do
  curl "$SANDBOX/state" -d "{\"contracts\": [{\"customerId\": 7, \"id\": $contract, \"cancelationStatus\": \"CANCELED\"}]}"
  echo "7,$contract" >> six.csv
done

echo "2. Two of the answers will take an hour. The effects are there at once."
for contract in 5005 5006; do
  curl "$SANDBOX/faults" -d "{\"kind\": \"delay\", \"seconds\": 3600,
    \"operation\": \"withdraw_contract_cancelation\", \"ids\": {\"contract_id\": $contract}}"
done

echo "3. When only these two are left, the run is killed."
membership-sdk bulk six.csv --operation withdraw_cancelation --journal six.db --yes &
until membership-sdk status six.db 2> /dev/null | grep -q "4 done"; do
  kill -0 $!  # is it there?
  sleep 0.2
done
kill -9 $!
membership-sdk status six.db

echo "4. It goes on. What may have been sent is read, and not sent again."
membership-sdk bulk --journal six.db --resume --yes

echo "5. What the server has really done:"
command curl --silent "$SANDBOX/ledger" | grep -o '"contract_id":500[0-9]' | sort | uniq -c
