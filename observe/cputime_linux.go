package observe

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// ticks of the kernel's CPU times in a second: USER_HZ, 100 on every architecture
// that Go runs on (proc_pid_stat(5)).
const ticks = 100

// cpuTimes reads the CPU seconds of each process tree: of the root, of everything
// below it, and of what below it has ended and was waited for. The last part matters:
// PostgreSQL's parallel workers live for one statement, and a wrapper's children for
// one request. A tree whose root is gone is left out.
func cpuTimes(roots []int32) map[int32]float64 {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	own := map[int32]float64{}
	below := map[int32][]int32{}
	for _, name := range names {
		pid, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has just ended
		}
		if parent, seconds, ok := parseStat(raw); ok {
			own[int32(pid)] = seconds
			below[parent] = append(below[parent], int32(pid))
		}
	}
	out := map[int32]float64{}
	for _, root := range roots {
		if _, ok := own[root]; ok {
			out[root] = sumTree(root, own, below, map[int32]bool{})
		}
	}
	return out
}

func sumTree(pid int32, own map[int32]float64, below map[int32][]int32, seen map[int32]bool) float64 {
	if seen[pid] { // numbers that were given away twice while we read
		return 0
	}
	seen[pid] = true
	sum := own[pid]
	for _, child := range below[pid] {
		sum += sumTree(child, own, below, seen)
	}
	return sum
}

// parseStat takes the parent and the CPU seconds, those of waited-for children too,
// out of /proc/PID/stat. The name in it may hold spaces and brackets.
func parseStat(raw []byte) (parent int32, seconds float64, ok bool) {
	i := bytes.LastIndexByte(raw, ')')
	if i < 0 {
		return 0, 0, false
	}
	f := strings.Fields(string(raw[i+1:])) // f[0] is field 3, the state
	if len(f) < 15 {
		return 0, 0, false
	}
	p, err := strconv.ParseInt(f[1], 10, 32)
	if err != nil {
		return 0, 0, false
	}
	for _, text := range f[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, false
		}
		seconds += float64(n) / ticks
	}
	return int32(p), seconds, true
}
