mkdir files
cd files
for m in 000 444 600 644 755 2755 4755 1644; do echo $m > f$m; chmod $m f$m; done
for m in 700 711 755 1777 2775; do mkdir d$m; echo in > d$m/in; chmod $m d$m; done
