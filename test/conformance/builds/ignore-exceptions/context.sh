printf '**/*.md\n!README.md\ndocs\n!docs/keep\ndocs/keep/not\n*/temp*\n*/*/temp*\ntemp?\n' > .dockerignore
mkdir -p docs/keep/not sub/deep
for f in README.md other.md sub/README.md docs/gone docs/keep/kept docs/keep/not/x sub/temporary sub/deep/temp1 tempa temporary sub/fine; do echo $f > $f; done
