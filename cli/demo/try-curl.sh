#!/bin/sh
# The book shop behind Sidegate's reverse proxy, with nothing but curl and a cookie jar. The shop
# itself knows no cookie: it reads who calls from headers, and signs in by a header of its answer.
jar=$(mktemp)
# What a browser says of a page's own requests; without it, one with a cookie changes nothing.
browse() { curl -sS -b "$jar" -c "$jar" -H 'Sec-Fetch-Site: same-origin' -w '  (%{http_code})\n' "$@"; }

echo "# 1. Rita signs in, and gets a cookie:"
browse {shop}/login -d user=rita
echo "# 2. She reviews b1, so she may delete it:"
browse -X DELETE {shop}/books/b1
echo "# b2 is not hers:"
browse -X DELETE {shop}/books/b2
echo "# and why, from the policy:"
{sidegate} can 'DELETE /books/b2' --config '{dir}/sidegate.yaml' --as rita
echo "# 3. An operator logs her out everywhere, and the next call is refused:"
{sidegate} session revoke --subject rita --reason 'lost her key' --addr '{admin}'
browse -X DELETE {shop}/books/b1
rm -f "$jar"
