#!/bin/sh
# A sandbox from another language, shown with curl. In another terminal, first:
#
#     membership-sdk sandbox --port 8080
#
set -eu
SANDBOX=${SANDBOX:-http://127.0.0.1:8080}
CUSTOMER=$SANDBOX/v1/memberships/5001/self-service
curl() { command curl --silent --show-error --write-out ' [%{http_code}]\n' "$@"; }

echo "1. Own data: what is not said gets a default."
curl -X POST "$SANDBOX/_sandbox/state" --output /dev/null -d '{
  "contracts": [{"customerId": 5001, "id": 6001, "rateName": "Basic", "availableCancelationDates": ["2027-01-31"]}]
}'

echo "2. The next cancelation of this contract meets a conflict, once."
curl -X POST "$SANDBOX/_sandbox/faults" -d '{
  "kind": "status", "status": 409, "code": "LOCKED",
  "operation": "create_contract_cancelation_amendment", "ids": {"contract_id": 6001}
}'

echo "3. So the first try is refused, and the second takes effect."
for _ in 1 2; do
  curl -X POST "$CUSTOMER/ordinary-contract-cancelation" -H 'X-API-KEY: sandbox-key' \
    -H 'Content-Type: application/json' \
    -d '{"contractId": 6001, "cancelationDate": "2027-01-31", "cancelationReasonId": 11}'
done

echo "4. Sent twice, done once."
curl "$SANDBOX/_sandbox/requests"
curl "$SANDBOX/_sandbox/ledger"

echo "5. The contract is canceled; a month passes."
curl "$CUSTOMER/contract-data" -H 'X-API-KEY: sandbox-key'
curl -X POST "$SANDBOX/_sandbox/clock" -d '{"days": 30}'

echo "6. As it was at the start."
curl -X POST "$SANDBOX/_sandbox/reset"
curl "$SANDBOX/_sandbox/ledger"
