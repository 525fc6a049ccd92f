#!/usr/bin/env bash
# A client with curl: bash curl.sh form|json. Each answer becomes a line of JSON.
set -euo pipefail

bodies=$1
answer=$(mktemp -d)
trap 'rm -r "$answer"' EXIT

# call NAME METHOD PATH [options of curl]
call() {
  local name=$1 method=$2 path=$3 status trace_id
  shift 3
  status=$(curl --silent --show-error --request "$method" --dump-header "$answer/headers" --output "$answer/body" \
    --write-out '%{http_code}' "$@" "$API_URL$path?api_key=$API_KEY")
  trace_id=$(sed -n 's/^x-trace-id: *\([0-9A-Za-z-]*\).*/\1/Ip' "$answer/headers")
  printf '{"call":"%s","status":%s,"trace_id":"%s","body":%s}\n' \
    "$name" "$status" "$trace_id" "$(cat "$answer/body")"
}

create_by_form() {
  call create POST /destinations \
    --data-urlencode 'name=Zoë & Söhne + 100 %' \
    --data enabled=true \
    --data type=s3compatible \
    --data-urlencode "s3_endpoint=$S3_ENDPOINT" \
    --data-urlencode "s3_access_key_id=$S3_ACCESS_KEY_ID" \
    --data-urlencode "s3_secret_access_key=$S3_SECRET_ACCESS_KEY" \
    --data-urlencode "s3_bucket_name=$S3_BUCKET" \
    --data-urlencode 's3_path_prefix=exports/%COLLECTION_NAME%/%DATE%'
}

create_by_json() {
  call create POST /destinations --header 'Content-Type: application/json' --data-binary @- <<END
{
  "name": "Zoë & Söhne + 100 %",
  "enabled": true,
  "type": "s3compatible",
  "s3_endpoint": "$S3_ENDPOINT",
  "s3_access_key_id": "$S3_ACCESS_KEY_ID",
  "s3_secret_access_key": "$S3_SECRET_ACCESS_KEY",
  "s3_bucket_name": "$S3_BUCKET",
  "s3_path_prefix": "exports/%COLLECTION_NAME%/%DATE%"
}
END
}

# update NAME FIELD VALUE, where the value is JSON
update() {
  local path=/destinations/$id value
  if [[ $bodies == form ]]; then
    value=${3#\"}
    call "$1" PUT "$path" --data-urlencode "$2=${value%\"}"
  else
    call "$1" PUT "$path" --header 'Content-Type: application/json' --data-binary "{\"$2\": $3}"
  fi
}

created=$("create_by_$bodies")
printf '%s\n' "$created"
id=$(sed -n 's/.*"destination":{"id":"\([0-9A-F]*\)".*/\1/p' <<<"$created")

call list GET /destinations
update rename name '"Größe = 日本"'
update disable enabled false
update enable enabled true
update wrong-secret s3_secret_access_key '"wrong"'
call unchanged GET /destinations
call delete DELETE "/destinations/$id"
call delete-again DELETE "/destinations/$id"
API_KEY=unknown call unknown-key GET /destinations
