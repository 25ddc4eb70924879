printf 'one\ntwo\n' > deps.list
mkdir src
echo main > src/main
