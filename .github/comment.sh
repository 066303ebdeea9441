#!/usr/bin/env bash
# Puts a Markdown file on a pull request, in place of the comment that an earlier run left: comment.sh REPOSITORY NUMBER FILE
# A comment is known by the file's first line, a mark. Where none may be written the run goes on.
set -euo pipefail
repository=$1 number=$2 file=$3
[ -s "$file" ] || exit 0
mark=$(head -n 1 "$file")
before=$(gh api --paginate "repos/$repository/issues/$number/comments" \
  --jq ".[] | select(.body | startswith(\"$mark\")) | .id" | head -n 1) || before=""
if [ -n "$before" ]; then
  gh api --silent --method PATCH "repos/$repository/issues/comments/$before" --field "body=@$file" ||
    echo "::notice::no comment: the token may not write to this pull request"
else
  gh api --silent --method POST "repos/$repository/issues/$number/comments" --field "body=@$file" ||
    echo "::notice::no comment: the token may not write to this pull request"
fi
