import Glibc

/// Hands values from thread to thread, in order. Unbounded by itself: what circulates in it is bounded.
package final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var elements: [Element] = []
  private var head = 0

  package init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(filled, nil)
  }

  deinit {
    pthread_cond_destroy(filled)
    pthread_mutex_destroy(mutex)
    filled.deallocate()
    mutex.deallocate()
  }

  package func push(_ element: Element) {
    pthread_mutex_lock(mutex)
    elements.append(element)
    pthread_cond_signal(filled)
    pthread_mutex_unlock(mutex)
  }

  /// Waits for an element.
  package func pop() -> Element {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while head == elements.count { pthread_cond_wait(filled, mutex) }
    let element = elements[head]
    head += 1
    if head == elements.count || head > 256 {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }
}
