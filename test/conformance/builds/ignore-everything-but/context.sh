printf '*\n!src\n!**/keep.me\nsrc/*.o\nDockerfile\n.dockerignore\n' > .dockerignore
mkdir -p src/lib far/away
for f in src/a.c src/a.o src/lib/b.o top far/away/keep.me far/away/drop; do echo $f > $f; done
