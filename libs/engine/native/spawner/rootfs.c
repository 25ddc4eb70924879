#define _GNU_SOURCE
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"

/* A mounted overlay keeps at most OVL_MAX_STACK (500) lowers; its monolithic options must fit one page. */
#define MAX_LOWERS 128
/* tmpfs inodes that overlayfs and we take: the root, upper, work, work/work, work/index. */
#define OWN_INODES 8

static void make_dir(const char *path, mode_t mode, uint32_t owner) {
  /* chmod, because mkdir obeys the umask. */
  if (mkdir(path, mode) < 0 || chmod(path, mode) < 0) fail("mkdir");
  if (owner != 0 && chown(path, owner, owner) < 0) fail("chown");
}

static void mount_lower(const char *dir, const char *target, int userns) {
  int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW);
  if (tree < 0) fail("open layer");
  struct mount_attr attr = {
      .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
      .userns_fd = (unsigned long long)(unsigned)userns,
  };
  if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) fail("id-map layer");
  if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) fail("mount layer");
  close(tree);
}

/* Two folders of a disk, side by side: overlayfs wants them on one mount, so it is their parent's that is cloned. */
static void mount_upper_directory(const struct upper *upper, int userns) {
  int tree = open_tree(AT_FDCWD, upper->parent, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW);
  if (tree < 0) fail("open the writable layer");
  struct mount_attr attr = {
      /* For whoever sees the overlay, the flags of the overlay's own mount count. */
      .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
      .propagation = MS_PRIVATE,
      .userns_fd = (unsigned long long)(unsigned)userns,
  };
  if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) fail("id-map the writable layer");
  if (move_mount(tree, "", AT_FDCWD, "scratch", MOVE_MOUNT_F_EMPTY_PATH) < 0) fail("mount the writable layer");
  close(tree);
}

static void mount_upper_tmpfs(const struct rootfs *rootfs) {
  char options[160];
  snprintf(options, sizeof options, "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=0755,uid=%" PRIu32 ",gid=%" PRIu32, rootfs->upper.bytes,
           rootfs->upper.inodes + OWN_INODES, rootfs->id_start, rootfs->id_start);
  if (mount("sandbar-upper", "scratch", "tmpfs", MS_NODEV, options) < 0) fail("mount the writable layer");
  make_dir("scratch/upper", 0755, rootfs->id_start);
  make_dir("scratch/work", 0755, rootfs->id_start);
}

/*
 * Overlayfs makes its files as whoever mounted it. On an id-mapped upper layer the host's root has no id, and the overlay would be read-only:
 * the mount is made with the guest root's ids for file systems, but with every capability (capabilities(7), SECBIT_NO_SETUID_FIXUP).
 */
static void mount_overlay_as(uint32_t id, const char *options) {
  const int before = prctl(PR_GET_SECUREBITS);
  if (before < 0 || prctl(PR_SET_SECUREBITS, before | SECBIT_NO_SETUID_FIXUP) < 0) fail("keep capabilities");
  setfsgid(id);
  setfsuid(id);
  if (mount("sandbar-rootfs", "rootfs", "overlay", MS_NODEV, options) < 0) fail("mount the overlay");
  setfsuid(0);
  setfsgid(0);
  if (prctl(PR_SET_SECUREBITS, before) < 0) fail("restore secure bits");
}

/* Puts their names behind the first `used` bytes of `options`. */
static void mount_lowers(const struct rootfs *rootfs, int userns, char *options, size_t size, int used) {
  size_t count = 0;
  for (; rootfs->lower_dirs[count] != NULL; count++) {
    if (count == MAX_LOWERS) {
      errno = E2BIG;
      fail("more than 128 layers");
    }
    char target[32];
    snprintf(target, sizeof target, "lower/%zu", count);
    make_dir(target, 0711, 0);
    mount_lower(rootfs->lower_dirs[count], target, userns);
    used += snprintf(options + used, size - (size_t)used, "%s%s", count == 0 ? "" : ":", target);
  }
  if (count > 0) return;
  /* An image from nothing: overlayfs needs a lower layer all the same. */
  make_dir("lower/empty", 0755, rootfs->id_start);
  snprintf(options + used, size - (size_t)used, "lower/empty");
}

/* Sysfs shows the network name space of whoever mounts it. */
static void mount_sys(void) {
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  make_dir("sys", 0711, 0);
  if (mount("sysfs", "sys", "sysfs", flags, NULL) < 0 || mount(NULL, "sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0) fail("mount sysfs");
}

void read_upper(struct reader *body, struct upper *out) {
  out->kind = read_u8(body);
  switch (out->kind) {
    case UPPER_TMPFS:
      out->bytes = read_u64(body);
      out->inodes = read_u64(body);
      return;
    case UPPER_DIRECTORY:
      out->parent = read_string(body);
      out->upper_name = read_string(body);
      out->work_name = read_string(body);
      out->fleeting = read_u8(body) != 0;
      return;
    default:
      body->bad = true;
  }
}

void build_rootfs(const struct rootfs *rootfs) {
  const struct upper *upper = &rootfs->upper;
  const bool on_disk = upper->kind == UPPER_DIRECTORY;
  if (unshare(CLONE_NEWNS) < 0) fail("unshare mount name space");
  /* Nor do the mounts of one launch reach another, or the spawner. */
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("make mounts slaves");
  int userns = open_userns(rootfs);

  if (mount("sandbar", rootfs->mount_point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,nr_inodes=512,mode=0711") < 0)
    fail("mount the launch folder");
  /* Relative paths from here on: 128 of them must fit into one page of options. */
  if (chdir(rootfs->mount_point) < 0) fail("enter the launch folder");
  make_dir("lower", 0711, 0);
  make_dir("scratch", 0711, 0);
  make_dir("rootfs", 0711, 0);
  make_dir("binds", 0711, 0);

  /* Without them the upper layer is a plain difference, which any tool can pack. */
  char options[4096];
  int used = snprintf(options, sizeof options, "upperdir=scratch/%s,workdir=scratch/%s,redirect_dir=off,metacopy=off,index=off%s%s,lowerdir=",
                      on_disk ? upper->upper_name : "upper", on_disk ? upper->work_name : "work", on_disk ? ",xino=off" : "", on_disk && upper->fleeting ? ",volatile" : "");
  if (used < 0 || (size_t)used > sizeof options / 2) {
    errno = ENAMETOOLONG;
    fail("names of the writable layer");
  }
  mount_lowers(rootfs, userns, options, sizeof options, used);
  if (on_disk) {
    mount_upper_directory(upper, userns);
  } else {
    mount_upper_tmpfs(rootfs);
  }
  mount_overlay_as(on_disk ? rootfs->id_start : 0, options);
  mount_binds(rootfs, userns);
  if (rootfs->with_sys) mount_sys();
  close(userns);
}
