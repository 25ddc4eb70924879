import sys, time

for number in range(1, 4):
    print("line", number, flush=True)
    time.sleep(0.1)
print("arguments:", sys.argv[1:])
