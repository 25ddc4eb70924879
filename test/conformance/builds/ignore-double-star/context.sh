printf '**/node_modules\nbuild/**\na/**/z\n**/.git\n' > .dockerignore
mkdir -p node_modules/x p/node_modules/y build/out a/b/c .git p/q/.git
for f in node_modules/x/1 p/node_modules/y/2 p/3 build/out/4 build/5 a/z a/b/z a/b/c/z a/b/c/y .git/head p/q/.git/head p/q/6; do echo $f > $f; done
